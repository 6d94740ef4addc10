package app

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/modelwatch/modelwatch"
)

const (
	devTopic      = "modelwatch.events"
	devPartitions = 4
)

// startBroker starts a broker that speaks Kafka's protocol on a real port and
// keeps its log in a folder, so that any client may produce to it and nothing is
// lost over a restart.
func startBroker(listen, dir string) (*kfake.Cluster, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "broker address %q", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "broker address %q: the port", listen)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "the broker cannot listen on %s: choose another address with --broker-listen", listen)
	}
	handed := false
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.SeedTopics(devPartitions, devTopic),
		kfake.DataDir(filepath.Join(dir, "broker")),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			if handed {
				return net.Listen(network, address)
			}
			handed = true
			return listener, nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return cluster, nil
}
