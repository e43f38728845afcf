// Package auth decides whether a request carries the name and the password of a
// known user, in the manner of RFC 7617 ("Basic"). Passwords are kept as bcrypt
// hashes only.
//
// A bcrypt comparison costs tens of milliseconds of a processor by design. So it
// is made once for good credentials and then remembered (Guard), never more than
// a few at a time, and only a few times a minute for an address that keeps being
// wrong: neither a crowd of users nor somebody who guesses can keep Loadstar from
// its work. An unknown user costs the same time as a wrong password does.
package auth
