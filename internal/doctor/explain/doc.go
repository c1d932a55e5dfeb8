// Package explain says what an interrupt error means: a code of ivt, Windows or errno, or a line of the
// kernel log. It reads nothing of the machine and builds for every system.
//
// What is known is in two catalogues that people can read and correct, codes.toml and messages.toml. The
// tables in docs/codes.md and docs/kernel-log.md are generated from them.
//
// [Lookup] finds codes, [NewScanner] takes a log apart into incidents, [Collect] groups a long one, and
// [Explain] answers whatever somebody typed.
package explain
