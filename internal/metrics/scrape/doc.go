// Package scrape serves metrics to Prometheus, with its library. It stands apart from package metrics for the sake of ivt,
// which has no use for it and should start fast.
package scrape
