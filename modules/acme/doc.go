// Package acme has certificates issued by an authority that speaks ACME (RFC 8555)
// and keeps them renewed. It is the only package that knows certmagic, which does
// the keeping: when to renew (RFC 9773, ARI), what is in storage, and who of several
// nodes goes to the authority. Orders, accounts and challenges are this package's.
//
//	Settings    what a configuration says: authorities, storage, challenges
//	Manager     the account and the certificates of one Settings; outlives configurations
//	Source      a site's share of a Manager, a certs.Source
//	Challenges  what the process has to answer on ports 80 and 443
//	Storage     where all is kept: files, or what else is given
//
// Nothing here blocks a start: a certificate that is in storage serves at once, one
// that is not is asked for in the background, again and again, and until it is there
// handshakes fail with the reason.
package acme
