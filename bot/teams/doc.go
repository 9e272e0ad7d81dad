// Package teams is Microsoft Teams as bot sees it: it verifies what the Bot Framework sends, parses it, renders cards as
// Adaptive Cards 1.5, and sends them by the Bot Connector. What people may do and the words that they read are in bot.
//
// Of msbotbuilder-go it uses the activity schema, the parsing of requests and the dispatch; who called, and every call
// out, is checked and made here.
package teams
