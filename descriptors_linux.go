package ivt

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// open starts the watching of the lifeline, and the waiting in the style that was asked for.
func (c *Connection) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.disconnected {
		return over(c.id, irq.ReasonClosed, "it is over")
	}
	if c.lifeline < 0 {
		return over(c.id, irq.ReasonClosed, "its descriptors were handed to another program")
	}
	w, err := c.newWaiter()
	if err != nil {
		return err
	}
	c.waiter = w
	if err := kernel.SetNonblock(c.lifeline); err != nil {
		return err
	}
	file := os.NewFile(uintptr(c.lifeline), "lifeline")
	c.watch, c.lifeline = file, -1
	go c.listen(file)
	return nil
}

// listen reads notices from the lifeline until it hangs up. It ends with the connection, or when closeFiles
// closes the lifeline.
func (c *Connection) listen(lifeline *os.File) {
	last := over(c.id, irq.ReasonClosed, "ivtd hung up: it was stopped or killed")
	record := make([]byte, api.MaxNotice)
	for {
		n, err := lifeline.Read(record)
		if err != nil || n == 0 {
			c.end(last)
			c.closeFiles()
			return
		}
		notice, err := api.DecodeNotice(record[:n])
		if err != nil {
			continue // of a later version
		}
		if notice.Kind == api.NoticeOver {
			last = over(c.id, notice.Reason, notice.Detail)
		}
		c.tell(noticeOf(notice))
	}
}

func noticeOf(n api.Notice) Notice {
	told := Notice{Over: n.Kind == api.NoticeOver, Reason: n.Reason, Detail: n.Detail}
	if n.Deadline != 0 {
		told.Deadline = time.Now().Add(time.Duration(n.Deadline - kernel.Monotonic()))
	}
	return told
}

// hungUp looks at the lifeline while nobody watches it.
func (c *Connection) hungUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lifeline < 0 {
		return false // listen watches it, or another program
	}
	gone, err := kernel.HungUp(c.lifeline)
	return gone || err != nil
}

// closeFiles lets go of every descriptor, whoever has them now.
func (c *Connection) closeFiles() {
	c.mu.Lock()
	waiter, watch := c.waiter, c.watch
	numbers := []*int{&c.lifeline}
	if waiter == nil {
		for i := range c.slots {
			numbers = append(numbers, &c.slots[i].fd, &c.slots[i].unmask)
		}
	}
	for _, fd := range numbers {
		if *fd >= 0 {
			kernel.Close(*fd)
		}
		*fd = -1
	}
	c.mu.Unlock()
	c.closeDevice()
	if waiter != nil {
		waiter.close()
	}
	if watch != nil {
		closeQuietly(watch)
	}
}

// closeQuietly closes what may be closed already.
func closeQuietly(c io.Closer) error {
	if err := c.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// newWaiter takes the descriptors of the slots over.
func (c *Connection) newWaiter() (waiter, error) {
	slots := make([]slot, len(c.slots))
	for i, l := range c.slots {
		slots[i] = slot{line: l, number: i}
	}
	alone := len(slots) == 1
	if alone && c.options.dedicated && slots[0].delivery == irq.DeliveryEventfd {
		return newDirect(slots[0])
	}
	for _, s := range slots {
		if s.delivery == irq.DeliveryEventfd || !c.options.dedicated {
			if err := kernel.SetNonblock(s.fd); err != nil {
				return nil, err
			}
		}
	}
	if alone && !c.options.dedicated {
		return newPolled(slots[0], c.generation), nil
	}
	return newEpolled(slots, c.generation, c.options.dedicated)
}
