package main

// What stands where in the witness's memory.
const (
	atCalls   = 1 // of all clients
	atFailed  = 2 // calls that ended as none may
	atRound   = 3 // in which clients are to be
	atPoor    = 4 // calls that failed for want of the client's own descriptors
	atLost    = 5 // connections that a client found over
	atCrowd   = 6 // how many vectors a crowd holds, once it is complete
	atAnew    = 7 // keepers die without a store: whatever is held is lost
	atRung    = 16
	atSeen    = 32 // what a sentinel had read of atRung when it was last woken
	atSlot    = 64 // round in which a client is, by its slot
	sentinels = 4
	slots     = 32
)
