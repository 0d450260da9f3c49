"""What is read of a partner's Sender, a file a list: how one page of it is kept, and what a complete crawl withdraws."""
