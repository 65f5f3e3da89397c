"""tick on AWS Lambda: called by EventBridge Scheduler. See main.py for what it does."""

from penstock.wiring.lambda_functions import schedule_handler

handler = schedule_handler("tick")
