package sock

import "golang.org/x/sys/unix"

// KeepIdle is the TCP option that says after how many seconds of silence the peer is probed.
const KeepIdle = unix.TCP_KEEPIDLE
