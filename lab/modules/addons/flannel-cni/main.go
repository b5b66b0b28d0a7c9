// A CNI plugin in the place of flannel's own, whose module is not published. It gives a node's part of the pod network, which flanneld has
// written down, to the standard plugins: bridge makes the pod's interface, host-local its address.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	subnetFile = "/run/flannel/subnet.env"
	memory     = "/var/lib/cni/flannel" // what a container was made with: its deletion needs the same
)

type config struct {
	types.NetConf
	Delegate map[string]any `json:"delegate"`
}

// lease is what flanneld has written: FLANNEL_NETWORK, FLANNEL_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ.
func lease() (map[string]string, error) {
	file, err := os.Open(subnetFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	values := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, found := strings.Cut(strings.TrimSpace(lines.Text()), "="); found {
			values[name] = value
		}
	}
	if values["FLANNEL_SUBNET"] == "" || values["FLANNEL_NETWORK"] == "" {
		return nil, fmt.Errorf("%s names no network and subnet", subnetFile)
	}
	// It is the address of the node's own end; host-local wants the subnet's.
	_, subnet, err := net.ParseCIDR(values["FLANNEL_SUBNET"])
	if err != nil {
		return nil, err
	}
	values["FLANNEL_SUBNET"] = subnet.String()
	return values, nil
}

func bridgeConfig(conf config, values map[string]string) ([]byte, error) {
	bridge := map[string]any{"type": "bridge", "isGateway": true, "ipMasq": values["FLANNEL_IPMASQ"] != "true"}
	if mtu, err := strconv.Atoi(values["FLANNEL_MTU"]); err == nil {
		bridge["mtu"] = mtu
	}
	for name, value := range conf.Delegate {
		bridge[name] = value
	}
	bridge["name"], bridge["cniVersion"] = conf.Name, conf.CNIVersion
	bridge["ipam"] = map[string]any{
		"type":   "host-local",
		"ranges": []any{[]any{map[string]any{"subnet": values["FLANNEL_SUBNET"]}}},
		"routes": []any{map[string]any{"dst": values["FLANNEL_NETWORK"]}},
	}
	return json.Marshal(bridge)
}

func read(stdin []byte) (conf config, err error) {
	err = json.Unmarshal(stdin, &conf)
	return conf, err
}

func add(args *skel.CmdArgs) error {
	conf, err := read(args.StdinData)
	if err != nil {
		return err
	}
	values, err := lease()
	if err != nil {
		return err
	}
	bridge, err := bridgeConfig(conf, values)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(memory, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(memory, args.ContainerID), bridge, 0o600); err != nil {
		return err
	}
	result, err := invoke.DelegateAdd(context.Background(), "bridge", bridge, nil)
	if err != nil {
		return err
	}
	made, err := current.NewResultFromResult(result)
	if err != nil {
		return err
	}
	return types.PrintResult(made, conf.CNIVersion)
}

func remembered(args *skel.CmdArgs) ([]byte, error) {
	return os.ReadFile(filepath.Join(memory, args.ContainerID))
}

func remove(args *skel.CmdArgs) error {
	bridge, err := remembered(args)
	if os.IsNotExist(err) {
		return nil // it was deleted before
	}
	if err != nil {
		return err
	}
	if err := invoke.DelegateDel(context.Background(), "bridge", bridge, nil); err != nil {
		return err
	}
	return os.Remove(filepath.Join(memory, args.ContainerID))
}

func check(args *skel.CmdArgs) error {
	bridge, err := remembered(args)
	if err != nil {
		return err
	}
	return invoke.DelegateCheck(context.Background(), "bridge", bridge, nil)
}

func main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Del: remove, Check: check}, version.All, "flannel for the lab")
}
