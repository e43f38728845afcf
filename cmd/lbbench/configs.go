//go:build linux

package main

import "fmt"

// The configurations do the same work with each product: one pool of one
// server, keep-alive on both sides, one thread, logs off unless asked for.
// Where a product's default would slow it down for a reason that is not its
// own (nginx's temporary files, Caddy's 32 idle connections), it is raised.

func loadstarConfig(s setup) string {
	log := "log off"
	if s.Log > 0 {
		log = fmt.Sprintf("log syslog udp://127.0.0.1:%d", s.Log)
	}
	https := ""
	if s.Key != "" {
		https = fmt.Sprintf(`
https://%s:%d {
	bind 127.0.0.1
	log off
	tls %s.crt %s.key
	proxy web
}
`, tlsName, s.TLS, s.crt(), s.crt())
	}
	return fmt.Sprintf(`{
	admin unix/%[1]s/admin.sock
	maxconn 20000
}

http://:%[2]d {
	bind 127.0.0.1
	%[6]s
	proxy web
}

tcp://127.0.0.1:%[3]d {
	log off
	proxy streams
}

pool web {
	server origin 127.0.0.1:%[4]d
}

pool streams {
	server origin 127.0.0.1:%[5]d
}
%[7]s`, s.Dir, s.HTTP, s.TCP, s.OriginH, s.OriginT, log, https)
}

func haproxyConfig(s setup) string {
	global, defaults := "", ""
	if s.Log > 0 {
		global = fmt.Sprintf("\tlog 127.0.0.1:%d local0 info\n", s.Log)
		defaults = "\tlog global\n\toption httplog\n"
	}
	https := ""
	if s.Key != "" {
		https = fmt.Sprintf("\tbind 127.0.0.1:%d ssl crt %s.pem alpn h2,http/1.1\n", s.TLS, s.crt())
	}
	reuse := s.Reuse
	if reuse == "" {
		reuse = "safe"
	}
	return fmt.Sprintf(`global
	nbthread 1
	maxconn 10200
	no strict-limits
%[5]s
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	http-reuse %[7]s
%[6]s
frontend web
	bind 127.0.0.1:%[1]d
%[8]s	default_backend web

backend web
	option forwardfor
	server origin 127.0.0.1:%[3]d

listen streams
	mode tcp
	no log
	option splice-auto
	bind 127.0.0.1:%[2]d
	server origin 127.0.0.1:%[4]d
`, s.HTTP, s.TCP, s.OriginH, s.OriginT, global, defaults, reuse, https)
}

func nginxConfig(s setup) string {
	module, stream := "", ""
	if so := nginxStream(); so != "" {
		module = "load_module " + so + ";\n"
		stream = fmt.Sprintf(`
stream {
	server {
		listen 127.0.0.1:%d;
		proxy_pass 127.0.0.1:%d;
	}
}
`, s.TCP, s.OriginT)
	}
	https := ""
	if s.Key != "" {
		https = fmt.Sprintf(`		listen 127.0.0.1:%d ssl http2 backlog=4096;
		server_name %s;
		ssl_certificate %s.crt;
		ssl_certificate_key %s.key;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_cache shared:tls:10m;
		http2_max_requests 1000000000;
`, s.TLS, tlsName, s.crt(), s.crt())
	}
	log := "off"
	if s.Log > 0 {
		log = fmt.Sprintf("syslog:server=127.0.0.1:%d,facility=local0 combined", s.Log)
	}
	return fmt.Sprintf(`%[1]suser root;
daemon off;
worker_processes 1;
error_log stderr error;
pid %[2]s/nginx.pid;
events { worker_connections 30000; }
http {
	access_log %[3]s;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	proxy_max_temp_file_size 0;
	keepalive_requests 1000000000;
	keepalive_timeout 60s;
	upstream web {
		server 127.0.0.1:%[5]d;
		keepalive 1024;
		keepalive_requests 1000000000;
	}
	server {
		listen 127.0.0.1:%[4]d backlog=4096;
%[7]s		location / {
			proxy_pass http://web;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header X-Forwarded-For $remote_addr;
		}
	}
}
%[6]s`, module, s.Dir, log, s.HTTP, s.OriginH, stream, https)
}

func caddyConfig(s setup) string {
	log := ""
	if s.Log > 0 {
		log = fmt.Sprintf("\tlog {\n\t\toutput net udp/127.0.0.1:%d\n\t}\n", s.Log)
	}
	https := ""
	if s.Key != "" {
		https = fmt.Sprintf(`
https://%s:%d {
	bind 127.0.0.1
	tls %s.crt %s.key
	reverse_proxy 127.0.0.1:%d {
		transport http {
			keepalive_idle_conns_per_host 1024
		}
	}
}
`, tlsName, s.TLS, s.crt(), s.crt(), s.OriginH)
	}
	return fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	log default {
		output stderr
		level ERROR
		exclude http.log.access
	}
}

http://:%[1]d {
	bind 127.0.0.1
%[3]s	reverse_proxy 127.0.0.1:%[2]d {
		transport http {
			keepalive_idle_conns_per_host 1024
		}
	}
}
%[4]s`, s.HTTP, s.OriginH, log, https)
}
