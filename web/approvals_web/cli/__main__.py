from approvals_web.cli import main

main()
