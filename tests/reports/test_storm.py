"""A small storm: 16 requests at once over 4 keys, the API and a maker killed in the middle. The big one is `make torture-reports`."""

from __future__ import annotations

from tests.reports.storm import Process, Storm, house


def test_requests_at_once_are_each_made_once_through_a_kill(tmp_path, january_book) -> None:
    home = house(tmp_path / "home", january_book)
    storm = Storm(home, keys=4, count=16)
    api, maker = Process(("reports", "serve", "--port", str(storm.port)), home), Process(("reports", "serve", "--port", "0"), home)
    try:
        api.start()
        maker.start()
        storm.rage(api, maker, strikes=(6, 3))
        seen = storm.check()
    finally:
        api.kill()
        maker.kill()
        storm.close()
    assert seen["requests"] == seen["files"] == 16
    assert seen["met"], "nobody noticed the kill"
