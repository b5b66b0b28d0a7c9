# frozen_string_literal: true

# Reads a Vagrantfile as Vagrant would, and prints what it asks for as JSON: ruby stub.rb VAGRANTFILE
#
# It knows only those settings that Vagrant's documentation has, so a mistaken name is an error.

require "json"

Options = {
  "virtualbox" => Struct.new(:cpus, :memory, :linked_clone, :name, :gui),
  "libvirt" => Struct.new(:cpus, :memory, :nested, :driver),
  "ansible" => Struct.new(
    :compatibility_mode, :limit, :playbook, :galaxy_role_file, :galaxy_roles_path, :galaxy_command, :groups, :host_vars, :extra_vars,
    :become, :verbose, :inventory_path, :raw_arguments, :config_file
  ),
}.freeze

# config.vm, and that of one machine.
class VM
  attr_accessor :box, :hostname
  attr_reader :told

  def initialize
    @told = { networks: [], providers: {}, provisioners: {}, folders: [], machines: {} }
  end

  def network(kind, **options) = @told[:networks] << { kind: kind, **options }
  def synced_folder(host, guest, **options) = @told[:folders] << { host: host, guest: guest, **options }
  def provider(name, &block) = set(:providers, name, &block)
  def provision(name, &block) = set(:provisioners, name, &block)

  def define(name)
    machine = Configuration.new
    yield machine
    @told[:machines][name] = machine.vm.all
  end

  def all = @told.merge(box: box, hostname: hostname)

  private

  def set(what, name)
    @told[what][name] = Options.fetch(name).new.tap { |options| yield options }.to_h.compact
  end
end

class Configuration
  attr_reader :vm

  def initialize = @vm = VM.new
end

module Vagrant
  def self.configure(version)
    raise "version #{version}" unless version == "2"

    configuration = Configuration.new
    yield configuration
    puts JSON.generate(configuration.vm.all)
  end
end

load File.expand_path(ARGV.fetch(0))
