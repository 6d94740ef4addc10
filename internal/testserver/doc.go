// Package testserver starts the real servers that tests talk to: Apache Kafka,
// PostgreSQL and an S3 server, each a child process on a free port of 127.0.0.1,
// and a proxy in front of any of them that makes faults.
//
// Kafka, Postgres and S3 return one server per test process, started on first
// use and shared by every test: a test keeps to its own topic, database or
// bucket. NewKafka, NewPostgres and NewS3 start one that belongs to a single
// test, which may stop, kill and pause it; NewKafkaCluster starts three brokers.
//
// No server outlives the test process, however that ends: a guard process
// waits for the end of a pipe that only the test process holds open, then kills
// the server and removes its folder. So nothing has to be stopped in TestMain.
//
// The servers come from the cache folder that tools/servers/setup fills. One
// that is missing fails the test with the remedy; it never skips it.
package testserver
