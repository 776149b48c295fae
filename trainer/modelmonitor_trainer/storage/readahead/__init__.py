"""Read-ahead and write-behind for remote stores, in bounded memory."""
