"""webhook on AWS Lambda: behind a function URL that anybody may call. See main.py for what it does."""

from penstock.wiring.lambda_functions import http_handler

handler = http_handler("webhook")
