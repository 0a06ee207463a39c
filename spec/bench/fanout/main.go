// SPDX-License-Identifier: Apache-2.0

// The peer of the fan-out: a Particle exporter as one writes it in Go with
// net/http, encoding/json and client_golang, 64 requests in flight, collected
// when it is scraped. Arguments: PORT API-URL [CA-FILE].
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const inFlight = 64

type device struct {
	ID              string    `json:"id"`
	Name            string    `json:"name"`
	Online          bool      `json:"online"`
	LastHeard       time.Time `json:"last_heard"`
	LastHandshakeAt time.Time `json:"last_handshake_at"`
	PlatformID      int       `json:"platform_id"`
	ProductID       int       `json:"product_id"`
	SerialNumber    string    `json:"serial_number"`
	ICCID           string    `json:"iccid"`
	SystemFirmware  string    `json:"system_firmware_version"`
	Status          string    `json:"status"`
	Firmware        float64   `json:"firmware_version"`
	DesiredFirmware float64   `json:"desired_firmware_version"`
}

type connection struct {
	Status           string  `json:"status"`
	Error            float64 `json:"error"`
	Disconnects      float64 `json:"disconnects"`
	Attempts         float64 `json:"attempts"`
	DisconnectReason string  `json:"disconnect_reason"`
}

type answer struct {
	Diagnostics struct {
		UpdatedAt time.Time `json:"updated_at"`
		Payload   struct {
			Device struct {
				System struct {
					Uptime float64 `json:"uptime"`
					Memory struct {
						Used  float64 `json:"used"`
						Total float64 `json:"total"`
					} `json:"memory"`
				} `json:"system"`
				Power struct {
					Battery struct {
						Charge float64 `json:"charge"`
						State  string  `json:"state"`
					} `json:"battery"`
					Source string `json:"source"`
				} `json:"power"`
				Network struct {
					Signal struct {
						AT        string  `json:"at"`
						Strength  float64 `json:"strength"`
						StrengthV float64 `json:"strengthv"`
						Quality   float64 `json:"quality"`
						QualityV  float64 `json:"qualityv"`
					} `json:"signal"`
					Connection connection `json:"connection"`
				} `json:"network"`
				Cloud struct {
					Connection connection `json:"connection"`
					CoAP       struct {
						Transmit   float64 `json:"transmit"`
						Retransmit float64 `json:"retransmit"`
						Unack      float64 `json:"unack"`
						RoundTrip  float64 `json:"round_trip"`
					} `json:"coap"`
					Publish struct {
						RateLimited float64 `json:"rate_limited"`
					} `json:"publish"`
				} `json:"cloud"`
			} `json:"device"`
			Service struct {
				Cloud struct {
					Uptime  float64 `json:"uptime"`
					Publish struct {
						Sent float64 `json:"sent"`
					} `json:"publish"`
				} `json:"cloud"`
				CoAP struct {
					RoundTrip float64 `json:"round_trip"`
				} `json:"coap"`
			} `json:"service"`
		} `json:"payload"`
	} `json:"diagnostics"`
}

type reading struct {
	device device
	answer answer
	err    error
}

func desc(name string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("particle_"+name, "A value of a device.",
		append([]string{"core_id"}, labels...), nil)
}

var (
	info = desc("device_info", "name", "platform", "product",
		"serial_number", "iccid", "system_firmware")
	status = desc("device_status", "state")
	text   = desc("vitals_info", "at", "power", "battery", "network", "cloud",
		"network_reason", "cloud_reason")
	online    = desc("device_online")
	heard     = desc("last_heard_timestamp_seconds")
	handshake = desc("last_handshake_timestamp_seconds")
	behind    = desc("firmware_behind")
	vitals    [22]*prometheus.Desc
)

func init() {
	for i := range vitals {
		vitals[i] = desc(fmt.Sprintf("vital_%d", i))
	}
}

// What one device says, in the order of the descriptions above.
func values(a *answer) [22]float64 {
	d, s := &a.Diagnostics.Payload.Device, &a.Diagnostics.Payload.Service
	n, c := &d.Network, &d.Cloud
	return [22]float64{
		float64(a.Diagnostics.UpdatedAt.UnixMilli()) / 1000,
		d.System.Uptime, d.System.Memory.Used, d.System.Memory.Total,
		d.Power.Battery.Charge / 100, n.Signal.Strength / 100,
		n.Signal.StrengthV, n.Signal.Quality / 100, n.Signal.QualityV,
		n.Connection.Error, n.Connection.Disconnects, n.Connection.Attempts,
		c.Connection.Error, c.Connection.Disconnects, c.Connection.Attempts,
		c.CoAP.Transmit, c.CoAP.Retransmit, c.CoAP.Unack,
		c.CoAP.RoundTrip / 1000, c.Publish.RateLimited,
		s.Cloud.Uptime, s.CoAP.RoundTrip / 1000,
	}
}

type collector struct {
	client *http.Client
	url    string
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- online
}

func (c *collector) get(path string, into interface{}) error {
	request, err := http.NewRequest("GET", c.url+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer token")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	var devices []device
	if err := c.get("/v1/devices", &devices); err != nil {
		log.Print(err)
		return
	}
	work := make(chan *reading, len(devices))
	readings := make([]reading, len(devices))
	for i := range devices {
		readings[i].device = devices[i]
		work <- &readings[i]
	}
	close(work)
	var group sync.WaitGroup
	for i := 0; i < inFlight; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for r := range work {
				r.err = c.get("/v1/diagnostics/"+r.device.ID+"/last",
					&r.answer)
				if r.err != nil {
					log.Print(r.err)
					continue
				}
				show(ch, r)
			}
		}()
	}
	group.Wait()
}

func show(ch chan<- prometheus.Metric, r *reading) {
	d := &r.device
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue,
			value, append([]string{d.ID}, labels...)...)
	}
	up := 0.0
	if d.Online {
		up = 1
	}
	gauge(online, up)
	gauge(info, 1, d.Name, fmt.Sprint(d.PlatformID), fmt.Sprint(d.ProductID),
		d.SerialNumber, d.ICCID, d.SystemFirmware)
	gauge(status, 1, d.Status)
	gauge(heard, float64(d.LastHeard.UnixMilli())/1000)
	gauge(handshake, float64(d.LastHandshakeAt.UnixMilli())/1000)
	gauge(behind, d.DesiredFirmware-d.Firmware)
	p := &r.answer.Diagnostics.Payload.Device
	gauge(text, 1, p.Network.Signal.AT, p.Power.Source, p.Power.Battery.State,
		p.Network.Connection.Status, p.Cloud.Connection.Status,
		p.Network.Connection.DisconnectReason,
		p.Cloud.Connection.DisconnectReason)
	for i, value := range values(&r.answer) {
		gauge(vitals[i], value)
	}
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = inFlight
	if len(os.Args) > 3 {
		pem, err := os.ReadFile(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	return t
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: fanout PORT API-URL [CA-FILE]")
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{
		client: &http.Client{Transport: transport(), Timeout: 10 * time.Second},
		url:    os.Args[2],
	})
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	http.Handle("/metrics", handler)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
