// Command chaos runs many client processes against one ivtd, kills and squeezes whatever can be, and checks what must
// hold all the same.
//
// Clients ([client]) do random things and write what came of it into a [journal], which outlives them. The journals are
// read round by round: every call on a vector, of living and dead clients alike, must be explained by a table of one
// holder each ([vectorModel], checked by porcupine). Independently, whoever is granted a vector says so in a [witness.Witness]
// that ivtd knows nothing of, and [sentinel]s look whether they are woken after every gap. ivtd runs under what stands in
// for systemd's descriptor store ([store]), so that its keeper can be killed as its worker can.
//
// A seed fixes what each client does, call by call, and what the supervisor does after how many calls of all. It does not
// fix what the kernel does: which call of which process comes first, and where inside a call a kill falls.
package main
