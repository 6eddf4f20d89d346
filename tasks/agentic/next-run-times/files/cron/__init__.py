from cron.fields import CronError
from cron.schedule import next_runs

__all__ = ["CronError", "next_runs"]
