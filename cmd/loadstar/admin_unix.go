package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }

func userID() string { return strconv.Itoa(os.Getuid()) }
