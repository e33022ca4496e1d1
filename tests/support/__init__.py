"""What the tests stand on: scenarios, servers, processes, networks that fail, and tables that tests walk."""
