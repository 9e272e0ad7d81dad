// Package workflows holds the verbs of Elevate: what a person, a timer or a program may do to a request, checked
// against policy and directory at that moment and written as one arrow. It declares the interfaces it needs; chats,
// stores and targets are elsewhere.
package workflows
