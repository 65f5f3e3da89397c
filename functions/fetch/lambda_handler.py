"""fetch on AWS Lambda: fed by its SQS queue. See main.py for what it does."""

from penstock.wiring.lambda_functions import topic_handler

handler = topic_handler("fetch")
