"""The Reports API: statements by request, in the shapes of Coinbase's own. Asks the publication, never a venue."""
