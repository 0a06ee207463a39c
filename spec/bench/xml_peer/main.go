// SPDX-License-Identifier: Apache-2.0

// The peer of the benchmark of XML: encoding/xml into structs. Argument: FILE.
// Prints milliseconds of processor time, of all threads, best of several rounds.
package main

import (
	"encoding/xml"
	"fmt"
	"log"
	"math"
	"os"
	"runtime"
	"syscall"
)

const rounds = 15

type channel struct {
	ServerID  string `xml:"serverId"`
	ChannelID string `xml:"channelId"`
	Received  uint64 `xml:"received"`
	Sent      uint64 `xml:"sent"`
	Error     uint64 `xml:"error"`
	Filtered  uint64 `xml:"filtered"`
	Queued    uint64 `xml:"queued"`
}

type list struct {
	Channels []channel `xml:"channelStatistics"`
}

func now() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: xml_peer FILE")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	best := math.Inf(1)
	for i := 0; i < rounds; i++ {
		runtime.GC()
		var all list
		var sum uint64
		started := now()
		if err := xml.Unmarshal(text, &all); err != nil {
			log.Fatal(err)
		}
		for _, c := range all.Channels {
			sum += c.Received + c.Sent + c.Error + c.Filtered + c.Queued
		}
		best = math.Min(best, now()-started)
		if sum == 0 {
			log.Fatal("nothing was read")
		}
	}
	fmt.Printf("%.2f\n", best)
}
