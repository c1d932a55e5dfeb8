package irq

// A Reason says why in one word, for programs. The values are those of the Varlink interface.
type Reason string

// The reasons.
const (
	ReasonHeld             Reason = "held"             // by a connection of this registry
	ReasonKernelHolds      Reason = "kernelHolds"      // by a driver of the kernel
	ReasonForeignHolds     Reason = "foreignHolds"     // by a process outside ivt
	ReasonDraining         Reason = "draining"         // the former holder's handler still runs
	ReasonOrphaned         Reason = "orphaned"         // the holder is gone, its grace runs
	ReasonModeConflict     Reason = "modeConflict"     // the device is connected in another interrupt mode
	ReasonDeviceGranted    Reason = "deviceGranted"    // the whole device is granted to somebody
	ReasonSharerRefuses    Reason = "sharerRefuses"    // somebody there, or the caller, did not ask to share
	ReasonTriggerDiffers   Reason = "triggerDiffers"   // edge against level
	ReasonNotShareable     Reason = "notShareable"     // this kind of vector cannot be shared
	ReasonNotMaskable      Reason = "notMaskable"      // this kind of vector cannot be masked
	ReasonMalformed        Reason = "malformed"        // a name or request that cannot be read
	ReasonOutOfRange       Reason = "outOfRange"       // the source has no such index
	ReasonNoSuchSource     Reason = "noSuchSource"     // no such source, or one that policy hides
	ReasonSourceGone       Reason = "sourceGone"       // detached or unplugged
	ReasonClosed           Reason = "closed"           // the connection was disconnected
	ReasonRevoked          Reason = "revoked"          // the connection was taken away
	ReasonStaleGeneration  Reason = "staleGeneration"  // the caller's generation is over
	ReasonDenied           Reason = "denied"           // policy
	ReasonQuota            Reason = "quota"            // policy's quota is used up
	ReasonNotEnoughVectors Reason = "notEnoughVectors" // the source has fewer free vectors than asked for
	ReasonHostVectorsFull  Reason = "hostVectorsFull"  // the host's CPUs or the device have no vector left
	ReasonTimeout          Reason = "timeout"
	ReasonCancelled        Reason = "cancelled"
)
