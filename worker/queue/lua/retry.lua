-- retry: a dead or quarantined job runs again. What it has paid for is kept, unless fresh.
-- ARGV: job, fresh 0|1
-- Reply: 1 it waits; 0 it is neither dead nor quarantined, or not there.
-- Sent twice: 0.
-- With: groups graves ends retries
return retry_job(ARGV[1], ARGV[2] == '1') and 1 or 0
