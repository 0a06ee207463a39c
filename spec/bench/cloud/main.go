// SPDX-License-Identifier: Apache-2.0

// A Particle cloud for the benchmark of fan-outs: every document comes after
// the same delay, the lists at once. Arguments: PORT DEVICES DELAY LIST-DELAY
// [CERTIFICATE KEY]; a delay as Go writes it ("50ms").
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const device = `{"id":"%s","name":"device-%d","last_app":null,` +
	`"last_ip_address":"198.51.100.7","last_heard":"2026-01-02T03:04:05.678Z",` +
	`"last_handshake_at":"2026-01-02T01:02:03.456Z","product_id":13,` +
	`"online":true,"connected":true,"platform_id":13,"cellular":true,` +
	`"notes":null,"functions":["blink"],"variables":{"celsius":"double"},` +
	`"status":"normal","serial_number":"B40TAB000AAAAAA",` +
	`"iccid":"8934076500002589174","imei":"352753090000000",` +
	`"system_firmware_version":"4.2.0","firmware_version":%d,` +
	`"desired_firmware_version":7,"groups":["north"]}`

const document = `{"diagnostics":{"updated_at":"2026-01-02T03:04:05.678Z",` +
	`"deviceID":"%s","payload":{"device":{"system":{"uptime":%d,"memory":` +
	`{"used":86168,"total":161736}},"power":{"battery":{"charge":%d.25,` +
	`"state":"charging"},"source":"VIN"},"network":{"signal":{"at":"LTE",` +
	`"strength":66.66,"strength_units":"%%","strengthv":-97.01,` +
	`"strengthv_units":"dBm","strengthv_type":"RSRP","quality":37.5,` +
	`"quality_units":"%%","qualityv":-13.5,"qualityv_units":"dB",` +
	`"qualityv_type":"RSRQ"},"connection":{"status":"connected","error":0,` +
	`"disconnects":3,"attempts":1,"disconnect_reason":"none"},"cellular":` +
	`{"radio_access_technology":"LTE","operator":"AT&T Wireless Inc.",` +
	`"cell_global_identity":{"mobile_country_code":310,` +
	`"mobile_network_code":"410","location_area_code":18971,` +
	`"cell_id":95122189}}},"cloud":{"connection":{"status":"connected",` +
	`"error":17,"attempts":1,"disconnects":4,"disconnect_reason":"error"},` +
	`"coap":{"transmit":1305,"retransmit":14,"unack":2,"round_trip":1822},` +
	`"publish":{"rate_limited":0}}},"service":{"device":{"status":"ok"},` +
	`"cloud":{"uptime":3600,"publish":{"sent":1204}},"coap":` +
	`{"round_trip":1327}}}}}`

func main() {
	if len(os.Args) != 5 && len(os.Args) != 7 {
		log.Fatal("usage: cloud PORT DEVICES DELAY LIST-DELAY [CERT KEY]")
	}
	devices, err := strconv.Atoi(os.Args[2])
	check(err)
	delay, err := time.ParseDuration(os.Args[3])
	check(err)
	listDelay, err := time.ParseDuration(os.Args[4])
	check(err)

	list := make([]string, devices)
	documents := make(map[string][]byte, devices)
	for i := range list {
		id := fmt.Sprintf("e00fce68%016x", i*2654435761)
		list[i] = fmt.Sprintf(device, id, i, 6+i%2)
		documents[id] = []byte(fmt.Sprintf(document, id, 1000+i, i%100))
	}
	all := []byte("[" + strings.Join(list, ",") + "]")

	serve := func(path string, delay time.Duration, find func(string) []byte) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(delay)
			body := find(r.URL.Path)
			if body == nil {
				http.NotFound(w, r)
				return
			}
			header := w.Header()
			header.Set("Content-Type", "application/json; charset=utf-8")
			header.Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body)
		})
	}
	serve("/v1/devices", listDelay, func(string) []byte { return all })
	serve("/v1/integrations", listDelay,
		func(string) []byte { return []byte("[]") })
	serve("/v1/diagnostics/", delay, func(path string) []byte {
		path = strings.TrimPrefix(path, "/v1/diagnostics/")
		return documents[strings.TrimSuffix(path, "/last")]
	})

	// HTTP/1.1 for everyone: no h2.
	server := http.Server{Addr: "127.0.0.1:" + os.Args[1],
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	if len(os.Args) == 7 {
		log.Fatal(server.ListenAndServeTLS(os.Args[5], os.Args[6]))
	}
	log.Fatal(server.ListenAndServe())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
