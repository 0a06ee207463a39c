// SPDX-License-Identifier: Apache-2.0

// The peer of the benchmark: client_golang with the same series, served as its
// manual says. Arguments: PORT SERIES shared|unique.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const perFamily = 100

func value(i int) float64 {
	if i%2 == 0 {
		return float64(i * 7919 % 100000)
	}
	return float64(i*7919%10000000) / 10000
}

func labels(i int, unique bool) (string, string, string) {
	device := i % perFamily
	if unique {
		device = i
	}
	core := fmt.Sprintf("%08x%08x%08x", uint32(device*2654435761),
		uint32(device*2246822519), uint32(device*3266489917))
	return core, "site-" + strconv.Itoa(device%10), "celsius"
}

func register(registry *prometheus.Registry, series int, unique bool) {
	var family *prometheus.GaugeVec
	for i := 0; i < series; i++ {
		if i%perFamily == 0 {
			family = prometheus.NewGaugeVec(prometheus.GaugeOpts{
				Name: fmt.Sprintf("device_metric_%d", i/perFamily),
				Help: "A metric of a device.",
			}, []string{"core_id", "site", "unit"})
			registry.MustRegister(family)
		}
		core, site, unit := labels(i, unique)
		family.WithLabelValues(core, site, unit).Set(value(i))
	}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: peer PORT SERIES shared|unique")
	}
	series, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	register(registry, series, os.Args[3] == "unique")
	if series >= 1000 {
		debug.FreeOSMemory() // what is measured at rest has no garbage
	}
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, // for those who ask for it
	})
	http.Handle("/metrics", handler)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
