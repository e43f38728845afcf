" Vim syntax file for Lbfiles. Generated from the vocabulary by
" "make docs"; do not edit.
if exists("b:current_syntax")
  finish
endif
syn case match
setlocal iskeyword=@,48-57,_,-,.
setlocal commentstring=#\ %s

syn match lbfileValue "\%(\s\)\@<=\%(1.2\|1.3\|301\|302\|303\|307\|308\|3164\|5424\|DELETE\|EHLO\|GET\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(HEAD\|HELO\|OPTIONS\|PATCH\|POST\|PUT\|TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA\|TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\|TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA\|TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\|TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\|TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\|TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA\|TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\|TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256\|TRACE\|X25519MLKEM768\|add_prefix\|agent\|alert\|append\|as_pool\|auth\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(authpriv\|auto\|body\|clf\|closed\|combined\|cookie\|crit\|cron\|daemon\|debug\|down\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(emerg\|err\|exec\|file\|first\|ftp\|fully_down\|fully_up\|grpc\|h1\|h2\|h2c\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(h3\|hash\|header\|http\|httplog\|info\|ip\|json\|kern\|layer4\|layer7\|ldap\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(leastconn\|local0\|local1\|local2\|local3\|local4\|local5\|local6\|local7\|lpr\|mail\|mysql\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(newline\|news\|notice\|octets\|off\|on\|otlp\|p256\|p384\|peak_ewma\|pgsql\|pool\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(postgres\|process\|random\|redirect\|redis\|request\|require\|response\|roundrobin\|rsa2048\|rsa4096\|sample\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(secp256r1\|secp384r1\|secp521r1\|server\|site\|smtp\|source\|ssl_hello\|static_rr\|status\|stderr\|stdout\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(string\|strip_prefix\|syslog\|table\|tcp\|tcplog\|tls\|tls_alpn\|to\|track\|up\|uri\)\ze\%([[:blank:])]\|$\)"
syn match lbfileValue "\%(\s\)\@<=\%(url_param\|user\|uucp\|v1\|v2\|warning\|webhook\|x25519\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(address\|admin\|age\|alpn\|any_method\|auth\|authority\|backup\|balance_factor\|body\|budget\|buffer\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(ca\|cert\|challenge\|check_post\|ciphers\|client_auth\|connect\|consistent\|cookie\|crc32c\|crl\|curves\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(database\|decay\|delay\|depth\|disabled\|dns\|domain\|domain_only\|dontlog_normal\|dontlognull\|down_interval\|drain\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(eab\|early_data\|email\|errors\|except\|expect\|expire\|facility\|fall\|fast_interval\|file\|first_byte\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(format\|framing\|from\|handshake\|header\|health\|hide\|host\|httponly\|idle\|if_none\|indirect\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(initial\|insert\|interval\|keep\|key\|len\|level\|limit\|logged\|maglev\|map\|max_idle\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(max_life\|maxconn\|maxqueue\|min_version\|minconn\|name\|nocache\|ocsp\|on\|on_demand\|password\|path_only\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(port\|post_only\|prefix\|preserve\|priority\|profile\|protocol\|protocols\|proxy_protocol\|queue\|ratio\|realm\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(redirect\|redispatch\|refresh\|request\|requests\|resolver\|retired\|rewrite\|rfc\|rise\|root\|rotate\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(sample\|secure\|send\|separate_errors\|service\|size\|slow_start\|sni\|source\|stall\|storage\|streams\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(tag\|tickets\|time\|timeout\|tls\|tls_facts\|tunnel\|type\|unique_id\|user\|valid\|verify\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOption "\%(^\|\s\)\@<=\%(wait\|warn\|weight\|whole\|window\|with\)\ze\%([[:blank:])]\|$\)"
syn match lbfileCondition "\%(@\S\+\s\+\|\<and\s\+\|\<or\s\+\|\<not\s\+\|(\)\@<=\%(alpn\|client\|client_cert\|cookie\|header\|host\|method\|path\|port\|query\|scheme\|sni\)\ze\%([[:blank:])]\|$\)"
syn match lbfileCondition "\%(@\S\+\s\+\|\<and\s\+\|\<or\s\+\|\<not\s\+\|(\)\@<=\%(tls\|url\)\ze\%([[:blank:])]\|$\)"
syn match lbfileOperator "\%(\s\)\@<=\%(and\|or\|not\)\ze\%([[:blank:])]\|$\)"
syn match lbfileDirective "^\s*\zs\%(acme\|admin\|all_backups\|balance\|basic_auth\|bind\|capture\|chroot\|deny\|error\|forwardfor\|fullconn\)\ze\%([[:blank:])]\|$\)"
syn match lbfileDirective "^\s*\zs\%(grace\|group\|handle\|header\|health\|http2\|import\|log\|mask_query\|maxconn\|metrics\|monitor\)\ze\%([[:blank:])]\|$\)"
syn match lbfileDirective "^\s*\zs\%(passive\|persist\|pool\|protocol\|proxy\|proxy_protocol\|queue\|redirect\|respond\|retry\|rewrite\|server\)\ze\%([[:blank:])]\|$\)"
syn match lbfileDirective "^\s*\zs\%(source\|starttls\|state\|stats\|table\|tarpit\|test\|timeout\|tls\|trace\|trusted_proxies\|user\)\ze\%([[:blank:])]\|$\)"

syn match lbfileSnippet "^\s*([A-Za-z0-9_-]\+)\ze\s*{"
syn match lbfileSite "^\%(\%(https\?\|tcp\|tls\):\/\/\S*\|[A-Za-z0-9*.-]*:\d\+\|[A-Za-z0-9*-]\+\%(\.[A-Za-z0-9-]\+\)\+\)\%(,\s*\S\+\)*\ze\s\+{"
syn match lbfileMatcher "\%(^\|[[:blank:](]\)\@<=@[A-Za-z0-9_.-]\+"
syn match lbfileNumber "\%(^\|\s\)\@<=\d\+\%(\.\d\+\)\?\%(ns\|us\|ms\|s\|m\|h\|d\|[KMGT]i\?B\|B\|%\|\/[smhd]\)\?\ze\%(\s\|$\)"
syn match lbfilePlaceholder "{\$\?[A-Za-z_][^{}[:blank:]]*}"
syn match lbfileEscape contained "\\[\"\\nt]"
syn region lbfileString start=+\%(^\|\s\)\@<="+ skip=+\\.+ end=+"+ oneline contains=lbfileEscape,lbfilePlaceholder
syn region lbfileRaw start=+\%(^\|\s\)\@<=`+ end=+`+
syn region lbfileHeredoc start="\%(^\|\s\)\@<=<<\z([A-Za-z_][A-Za-z0-9_]*\)\s*$" end="^\s*\z1\ze\%(\s\|$\)" contains=lbfilePlaceholder
syn match lbfileComment "\%(^\|\s\)\@<=#.*$" contains=@Spell

hi def link lbfileDirective Statement
hi def link lbfileOption Identifier
hi def link lbfileValue Constant
hi def link lbfileCondition Function
hi def link lbfileOperator Operator
hi def link lbfileSnippet Function
hi def link lbfileSite Title
hi def link lbfileMatcher Type
hi def link lbfileNumber Number
hi def link lbfilePlaceholder Special
hi def link lbfileEscape SpecialChar
hi def link lbfileString String
hi def link lbfileRaw String
hi def link lbfileHeredoc String
hi def link lbfileComment Comment

let b:current_syntax = "lbfile"
