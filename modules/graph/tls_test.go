package graph_test

import "testing"

func TestTLSDiagnostics(t *testing.T) {
	diagnosed(t, withCertificate(t), map[string]wrong{
		"internal":            {"example.com {\n tls internal\n respond ok\n}", "", ""},
		"internal stream":     {"tls://mail.localhost:993 {\n tls internal\n proxy 127.0.0.1:143\n}", "", ""},
		"off":                 {"example.com {\n tls off\n respond ok\n}", "", ""},
		"off and clear":       {"example.com {\n tls off\n respond ok\n}\nhttp://example.com {\n respond ok\n}", "5:1", "duplicate-site"},
		"off against https":   {"https://example.com {\n tls off\n respond ok\n}", "2:2", "tls-conflict"},
		"two sources":         {"https://localhost {\n tls internal\n tls root.crt root.key\n respond ok\n}", "2:2", "tls-conflict"},
		"clear":               {"http://localhost {\n tls internal\n respond ok\n}", "2:2", "tls-in-clear-site"},
		"passed through":      {"tcp://:443 {\n tls internal\n proxy 127.0.0.1:143\n}", "2:2", "tls-in-clear-site"},
		"one port":            {"https://a.localhost:8443 {\n tls internal\n respond ok\n}\ntls://b.localhost:8443 {\n tls internal\n proxy 127.0.0.1:143\n}", "", ""},
		"options twice":       {"https://localhost {\n tls internal min_version 1.3\n tls internal min_version 1.2\n respond ok\n}", "3:15", "duplicate-option"},
		"ciphers unused":      {"https://localhost {\n tls internal min_version 1.3 ciphers TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n respond ok\n}", "2:31", "ciphers-unused"},
		"unknown cipher":      {"https://localhost {\n tls internal ciphers TLS_RSA_WITH_RC4_128_SHA\n respond ok\n}", "2:23", "bad-value"},
		"unknown curve":       {"https://localhost {\n tls internal curves x25518\n respond ok\n}", "2:22", "bad-value"},
		"old version":         {"https://localhost {\n tls internal min_version 1.1\n respond ok\n}", "2:27", "bad-value"},
		"name not covered":    {"https://localhost {\n tls root.crt root.key\n respond ok\n}", "2:2", "name-not-covered"},
		"no file":             {"https://localhost {\n tls internal\n respond ok\n}\nhttps://two.localhost {\n tls gone.crt gone.key\n respond ok\n}", "6:2", "unreadable-file"},
		"swapped":             {"https://localhost {\n tls root.key root.crt\n respond ok\n}", "2:2", "bad-certificate"},
		"directory":           {"https://localhost {\n tls .\n respond ok\n}", "2:2", "name-not-covered"},
		"no CA":               {"https://localhost {\n tls internal client_auth require root.key\n respond ok\n}", "2:15", "client-auth-without-ca"},
		"no list":             {"https://localhost {\n tls internal client_auth request root.crt crl root.crt\n respond ok\n}", "2:15", "bad-crl"},
		"client auth":         {"https://localhost {\n tls internal client_auth require root.crt\n respond ok\n}", "", ""},
		"server's CA":         {"http://:80 {\n proxy 127.0.0.1:81 {\n  tls ca gone.crt\n }\n}", "3:3", "unreadable-file"},
		"server unverified":   {"http://:80 {\n proxy 127.0.0.1:81 {\n  tls verify off\n }\n}", "3:3", "verify-off"},
		"server's name":       {"http://:80 {\n proxy unix//run/x.sock {\n  tls\n }\n}", "3:3", "server-without-name"},
		"h2 in clear":         {"http://:80 {\n proxy 127.0.0.1:81 {\n  protocol h2\n }\n}", "3:3", "protocol-without-tls"},
		"h3 in clear":         {"http://:80 {\n proxy 127.0.0.1:81 {\n  protocol h3\n }\n}", "3:3", "protocol-without-tls"},
		"h3, PROXY":           {"http://:80 {\n proxy 127.0.0.1:81 {\n  tls ca root.crt\n  protocol h3\n  proxy_protocol v2\n }\n}", "5:3", "bad-value"},
		"h3, as the client":   {"http://:80 {\n proxy p\n}\npool p {\n server a 127.0.0.1:81 source client\n tls ca root.crt\n protocol h3\n}", "5:24", "bad-value"},
		"auto in clear":       {"http://:80 {\n proxy p\n}\npool p {\n server a 127.0.0.1:81 tls off protocol auto\n tls\n}", "5:32", "protocol-without-tls"},
		"h2c by TLS":          {"http://:80 {\n proxy 127.0.0.1:81 {\n  tls ca root.crt\n  protocol h2c\n }\n}", "4:3", "h2c-with-tls"},
		"a wrong version":     {"http://:80 {\n proxy 127.0.0.1:81 {\n  protocol h22\n }\n}", "3:12", "bad-value"},
		"server":              {"http://:80 {\n proxy 127.0.0.1:81 {\n  tls ca root.crt cert root.crt root.key sni {http.host}\n }\n}", "", ""},
		"h3 alone":            {"https://localhost {\n tls internal protocols h3\n respond ok\n}", "2:15", "tls-conflict"},
		"versions of HTTP":    {"https://localhost {\n tls internal protocols h1 h3 early_data on\n respond ok\n}", "", ""},
		"unknown version":     {"https://localhost {\n tls internal protocols h4\n respond ok\n}", "2:25", "bad-value"},
		"versions of streams": {"tls://localhost:993 {\n tls internal protocols h1\n proxy 127.0.0.1:143\n}", "2:15", "tls-conflict"},
		"early, without h3":   {"https://localhost {\n tls internal protocols h1 early_data on\n respond ok\n}", "2:28", "early-data-unused"},
		"early, no tickets":   {"https://localhost {\n tls internal early_data on tickets off\n respond ok\n}", "2:15", "early-data-unused"},
		"early, clients":      {"https://localhost {\n tls internal early_data on client_auth require root.crt\n respond ok\n}", "2:15", "early-data-unused"},
	})
}

// `tls off` serves a name in clear, at port 80.
func TestTLSOff(t *testing.T) {
	g, found := buildIn(t, t.TempDir(), "example.com, example.com:8080 {\n tls off\n respond ok\n}")
	if g == nil || len(g.Listeners) != 2 || g.Listeners[0].Address != ":80" || g.Listeners[1].Address != ":8080" {
		t.Fatalf("%v", found)
	}
	for _, l := range g.Listeners {
		if l.Binding(nil).TLS != nil {
			t.Errorf("%s speaks TLS", l.Address)
		}
	}
}
