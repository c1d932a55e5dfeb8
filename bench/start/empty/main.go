// Command empty does nothing: what a Go program takes at least from start to end.
package main

func main() {}
