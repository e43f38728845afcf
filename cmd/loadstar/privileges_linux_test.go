package main

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What is kept of root's rights follows from what the configuration does.
func TestKeptCapabilities(t *testing.T) {
	for text, want := range map[string][]uint{
		"server one 10.0.0.1:80":                                         {unix.CAP_NET_BIND_SERVICE},
		"server one 10.0.0.1:80\n\tsource 127.0.0.1":                     {unix.CAP_NET_BIND_SERVICE},
		"source client\n\tserver one 10.0.0.1:80":                        {unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW},
		"server one 10.0.0.1:80\n\tserver two 10.0.0.2:80 source client": {unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW},
	} {
		cfg, _, found := load("Lbfile", []byte("http://:8080 {\n\tproxy web\n}\npool web {\n\t"+text+"\n}\n"))
		if found.HasErrors() {
			t.Fatalf("%s: %v", text, found)
		}
		if got := keptCapabilities(cfg); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
