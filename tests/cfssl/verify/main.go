// verify judges certificates as Go's programs do when they meet them: for a purpose, by the authorities that are trusted, for a name. It reads
// checks as JSON from standard input and prints a line for each one that does not hold.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
)

type check struct {
	Name      string
	Chain     string   // PEM: the certificate, then those between
	Authority string   // PEM
	Purpose   string   // server, client, authority
	Hosts     []string // that a client would ask for
}

func parse(text string) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no certificate")
	}
	return found, nil
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	made := x509.NewCertPool()
	for _, each := range certificates {
		made.AddCert(each)
	}
	return made
}

func judge(one check) error {
	chain, err := parse(one.Chain)
	if err != nil {
		return err
	}
	if one.Purpose == "authority" {
		return chain[0].CheckSignatureFrom(chain[0])
	}
	roots, err := parse(one.Authority)
	if err != nil {
		return err
	}
	usage := map[string]x509.ExtKeyUsage{"server": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth}[one.Purpose]
	options := x509.VerifyOptions{Roots: pool(roots), Intermediates: pool(chain[1:]), KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := chain[0].Verify(options); err != nil {
		return err
	}
	for _, host := range one.Hosts {
		if err := chain[0].VerifyHostname(host); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	var checks []check
	if err := json.NewDecoder(os.Stdin).Decode(&checks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := 0
	for _, one := range checks {
		if err := judge(one); err != nil {
			fmt.Printf("%s: %v\n", one.Name, err)
			code = 1
		}
	}
	os.Exit(code)
}
