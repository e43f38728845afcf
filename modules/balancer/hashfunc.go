package balancer

// sdbm goes on with the hash of the sdbm library (Ozan Yigit, public domain), HAProxy's
// default for keys: h × 65599 + c. It starts with 0.
func sdbm[T ~string | ~[]byte](h uint32, key T) uint32 {
	for i := range len(key) {
		h = sdbmByte(h, key[i])
	}
	return h
}

func sdbmByte(h uint32, c byte) uint32 { return uint32(c) + h<<6 + h<<16 - h }

// mix spreads a hash over all 32 bits: Bob Jenkins' integer hash in six shifts
// (public domain, "4-byte Integer Hashing"), times a prime close to three
// quarters of the range. HAProxy calls it full_hash and uses it for the points
// of the ring and for what is looked up there.
func mix(a uint32) uint32 {
	a = a + 0x7ed55d16 + a<<12
	a = a ^ 0xc761c23c ^ a>>19
	a = a + 0x165667b1 + a<<5
	a = (a + 0xd3a2646c) ^ a<<9
	a = a + 0xfd7046c5 + a<<3
	a = a ^ 0xb55a4f09 ^ a>>16
	return a * 3221225473
}
