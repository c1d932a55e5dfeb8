// Package whole tests a whole ivtd, keeper and worker, whose devices are driven
// by processes of their own.
package whole
