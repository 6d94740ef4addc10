//go:build unix

package testserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// The versions that tests run against, and that docker-compose.yml runs too.
// tools/servers/setup names the same.
const (
	KafkaVersion     = "4.3.0"
	VersitygwVersion = "1.8.0"
)

const remedy = "run `make servers`"

const (
	firstPort     = 20_000 // below the ephemeral range: no outgoing connection takes a port while its server is stopped
	lastPort      = 31_999
	portAttempts  = 100
	startAttempts = 3
)

// cacheDir is the folder that tools/servers/setup fills.
func cacheDir() (string, error) {
	if dir := os.Getenv("MODELWATCH_CACHE"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "modelwatch"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w: set MODELWATCH_CACHE", err)
	}
	return filepath.Join(home, ".cache", "modelwatch"), nil
}

// cached returns the path of a file in the cache, or an error with the remedy.
func cached(path ...string) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(name); err != nil {
		return "", fmt.Errorf("find server: %w: %s", err, remedy)
	}
	return name, nil
}

// newScratch makes a server's own folder, passable for other users, and the
// guard that removes it.
func newScratch(name string) (string, *guard, error) {
	dir, err := os.MkdirTemp("", "modelwatch-test-"+name+"-")
	if err != nil {
		return "", nil, fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("open folder to others: %w", err)
	}
	g, err := newGuard(dir)
	return dir, g, err
}

// freePort returns a port of 127.0.0.1 that nothing listens on.
func freePort() (int, error) {
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find free port: %d ports between %d and %d were taken", portAttempts, firstPort, lastPort)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// environment is what servers see of ours: none of the settings that a
// developer's shell may hold for the programs under test.
func environment(more ...string) []string {
	env := []string{"LANG=C", "PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
	return append(env, more...)
}
