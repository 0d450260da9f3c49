"""What is owed and paid: charge detail records, invoices and what is written into them, payments, reconciliation."""
