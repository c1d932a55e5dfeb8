// Package history keeps events (rule 13) in a file that outlives ivtd, bounded in number, size and age.
//
// [Store.Add] only appends to a queue; a goroutine of the store's writes what has come together, each time in one
// transaction of an embedded database (bbolt) that is on the disk when it returns. While the disk is full or cannot be
// written the queue is all there is, as long as a ring; the log says so once, and the store goes on by itself when it can.
//
// A file that is damaged is put aside under another name. Each event stands in it with a checksum of its own, so that
// those that are whole are found without the database, and the log says how many are missing.
package history
