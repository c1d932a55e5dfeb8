// Package record has the records of a stream, their acknowledgements and those of a doorbell, as they
// stand in io.ivtd.interrupts: the daemon writes what the client reads, from one place. All numbers are
// little endian. Decoding takes any bytes: what is not a record is an error and harms nothing.
package record
