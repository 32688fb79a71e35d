from mnist_worker.cli import main

main()
