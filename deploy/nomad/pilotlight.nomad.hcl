# An example. Before a client goes, `pilotlight drain` on it (Nomad has no hook before a stop). Nodes are a system job: one on each client of the class `pilotlight`, with a host volume of its own.
job "pilotlight-nodes" {
  type        = "system"
  datacenters = ["*"]

  constraint {
    attribute = "${node.class}"
    value     = "pilotlight"
  }

  group "node" {
    network {
      mode = "host"
      port "http" { static = 3001 }
    }

    volume "data" {
      type   = "host"
      source = "pilotlight"
    }

    service {
      name = "pilotlight-nodes"
      port = "http"
      check {
        type     = "http"
        path     = "/health"
        interval = "5s"
        timeout  = "3s"
        header { Host = ["localhost"] }
      }
    }

    task "node" {
      driver       = "raw_exec"
      kill_timeout = "630s"

      config {
        command = "pilotlight"
        args    = ["up"]
      }

      env { PILOTLIGHT_HOME = "/srv/pilotlight" }

      resources {
        cpu    = 1000
        memory = 2304
      }
    }
  }
}
