package main

import (
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"
)

// names are what the container can call itself and its peers.
type names struct {
	Hostname   string              `json:"hostname"`
	Address    string              `json:"address"`
	Names      map[string][]string `json:"names"` // address → names
	ExtraHosts [][2]string         `json:"extra_hosts"`
	DNS        bool                `json:"dns"`
}

const localNames = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::	ip6-localnet
ff00::	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

// hosts is the content of /etc/hosts, in Docker's order: local names, extra hosts, the container
// itself, its peers.
func (n names) hosts() (string, error) {
	var text strings.Builder
	text.WriteString(localNames)
	for _, extra := range n.ExtraHosts {
		if err := addHost(&text, extra[1], extra[0]); err != nil {
			return "", fmt.Errorf("extra_hosts: %w", err)
		}
	}
	if n.Address != "" && n.Hostname != "" {
		own := []string{n.Hostname}
		if short, _, qualified := strings.Cut(n.Hostname, "."); qualified {
			own = append(own, short)
		}
		if err := addHost(&text, n.Address, own...); err != nil {
			return "", fmt.Errorf("hostname: %w", err)
		}
	}
	addresses := make([]string, 0, len(n.Names))
	for address := range n.Names {
		addresses = append(addresses, address)
	}
	sort.Strings(addresses)
	for _, address := range addresses {
		if err := addHost(&text, address, n.Names[address]...); err != nil {
			return "", fmt.Errorf("names: %w", err)
		}
	}
	return text.String(), nil
}

func addHost(text *strings.Builder, address string, names ...string) error {
	if _, err := netip.ParseAddr(address); err != nil {
		return fmt.Errorf("%q is not an IP address", address)
	}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, " \t\r\n\v\f#\x00") {
			return fmt.Errorf("%q is not a name", name)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(text, "%s\t%s\n", address, strings.Join(names, " "))
	}
	return nil
}

// rewrite changes a file in place: /etc/hosts is a bind mount and cannot be renamed over. Written
// before it is cut, so that no reader sees it empty.
func rewrite(path, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(content), 0)
	if err == nil {
		err = file.Truncate(int64(len(content)))
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}
