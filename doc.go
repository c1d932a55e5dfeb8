// Package ivt connects a driver, an ordinary Linux process, to an interrupt vector that is its own.
//
//	c, err := ivt.Connect(ctx, "pci:0000:3b:00.0/msix/2")
//	if errors.Is(err, irq.ErrAlreadyConnected) { … } // 763: err says who holds it, since when, and what to do
//	defer c.Disconnect(ctx)
//	for {
//		i, err := c.Wait(ctx) // i.Count interrupts since the last time
//		…
//	}
//
// [Connection.Handle] calls a function for each interrupt instead; its return value acknowledges, and may end
// the connection. The connection ends by itself with the process. What else can end it (an administrator
// revokes it, the device is unplugged) closes [Connection.Done], and [Connection.Err] says why.
//
// A driver that also needs the registers of its device, and DMA, is granted the device with [Access](irq.AccessDevice):
// [Connection.Device].
//
// The vectors are kept by ivtd, which is found by IVT_SOCKET, else at $XDG_RUNTIME_DIR/ivtd.sock if there
// is one, else at /run/ivtd/ivtd.sock. Without ivtd the errors are [ErrNoDaemon]. Refusals are *irq.Error,
// the same as those of the registry in process.
//
// Connecting works on Linux; elsewhere the package compiles and every call is irq.ErrNotSupported.
package ivt
