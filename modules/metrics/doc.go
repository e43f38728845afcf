// Package metrics writes the census of the running process in Prometheus'
// formats: the text format, OpenMetrics and protobuf, as the scraper asks for.
// Histograms are classic in all of them, and native besides in protobuf, which is
// the one that has room for those; both are sums of the same buckets, so that
// they agree.
//
// Families are made and written one at a time: what a scrape holds in memory is
// one family, whatever the number of servers. The labels site, pool and server
// come from the configuration alone, and of each kind only so many have series of
// their own (Exporter.Limit); the others of a pool are summed up in one that is
// called "other".
package metrics

// Other is the value of a label that stands for all beyond the limit. What is
// really called so gets a "_" behind it.
const Other = "other"
