"""`make package`: what is deployed, as files in dist/. The same input gives the same bytes.

target.py     which Python on which machine
provider.py   aws and google: lock, bounds, what only one of them has
lock.py       requirements/*.lock, installed by uv for a target
installed.py  what was installed: names, versions, licences, who needs whom
contents.py   what goes into a bundle, and what is left out of it
bytecode.py   what Python makes of the sources, where a bundle is to have it
archive.py    a zip whose bytes depend on names and contents alone
bundle.py     <provider>.zip
wheel.py      the wheel for `penstock serve`
sbom.py       CycloneDX
release.py    all of it, checksums, and the table
"""
