"""Studies as code: what is compared, how it is measured, and the rows that come out."""
