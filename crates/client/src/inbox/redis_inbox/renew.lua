-- Renews a claim, if it is still this worker's. KEYS[1]: the message's key; ARGV: this worker's name, the lease in ms.
if redis.call('GET', KEYS[1]) == 'working:' .. ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
