"""Cluster addresses and node ports of Services, chosen as the API server chooses them: free ones of a range."""

from typing import Any

from penstock.devcluster.registry import Resource
from penstock.devcluster.statuses import Cause, invalid
from penstock.devcluster.store import Store

SERVICES = ("", "services")
FIRST, LAST = 10, 254 * 254
NODE_PORTS = range(30000, 32768)


def allocate(store: Store, resource: Resource, new: dict[str, Any]) -> None:
    """Fill in ``clusterIP``, ``clusterIPs`` and ``nodePort`` of a Service, in place."""
    if resource.key != SERVICES:
        return
    spec = new["spec"]
    if spec["type"] == "ExternalName":
        return
    uid = new["metadata"]["uid"]
    others = [s.object["spec"] for s in store.scan(SERVICES) if s.object["metadata"]["uid"] != uid]
    if not spec.get("clusterIP"):
        listed = spec.get("clusterIPs") or [_address({other.get("clusterIP") for other in others})]
        spec["clusterIP"] = listed[0]
    elif spec["clusterIP"] != "None" and spec["clusterIP"] in {other.get("clusterIP") for other in others}:
        given = spec["clusterIP"]
        problem = f'Invalid value: "{given}": failed to allocate IP {given}: provided IP is already allocated'
        cause = Cause(reason="FieldValueInvalid", message=problem, field="spec.clusterIPs[0]")
        raise invalid(resource.subject(new["metadata"]["name"]), [cause])
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        taken = {port.get("nodePort") for other in others for port in other.get("ports") or ()}
        for port in spec.get("ports") or ():
            if "nodePort" not in port:
                port["nodePort"] = next(number for number in NODE_PORTS if number not in taken)
            taken.add(port["nodePort"])
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            spec.setdefault("healthCheckNodePort", next(number for number in NODE_PORTS if number not in taken))


def _address(taken: set[str | None]) -> str:
    candidates = (f"10.96.{number // 254}.{number % 254 + 1}" for number in range(FIRST, LAST))
    return next(address for address in candidates if address not in taken)
