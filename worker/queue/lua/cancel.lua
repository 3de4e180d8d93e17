-- cancel: nobody wants the job any more.
-- ARGV: job, result TTL ms
-- Reply: waiting: it has ended, cancelled; running: its worker is told; ended: it had ended before;
--        unknown: there is no such job.
-- Sent twice: says how it is now.
-- With: groups graves ends cancels
return cancel_job(ARGV[1], ARGV[2])
