// Package doctor says what is wrong with the interrupts of a machine, why, and what to do.
//
// [Run] reads a machine and its kernel log and gives a [Report]: findings with evidence, meaning and remedies, and
// also what was looked at and what could not be seen. [Examine] does the same with what the caller read.
//
// A false alarm is worse than silence. A finding needs evidence that can be shown, a threshold is high enough
// that a healthy machine never meets it, and what the machine shows now overrules what its log said before. Each
// kind of finding is one file here with one entry in the table of checks, and a page in docs/findings.
//
// What the messages and codes mean is in package explain, which builds for every system.
package doctor
